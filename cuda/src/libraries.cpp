#include "krige_cuda/libraries.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

namespace krige_cuda {
namespace {

constexpr int toolkit = CUDART_VERSION / 1000;

// sonames by version of the toolkit: cuSOLVER counts its own, one behind
struct Wanted {
    const char* name;
    std::string soname;
    std::string other;  // that of the toolkit before or after, which is the wrong one
    std::string package;
};

Wanted blas_wanted() {
    const int other = toolkit == 13 ? 12 : 13;
    return {"cuBLAS", "libcublas.so." + std::to_string(toolkit),
            "libcublas.so." + std::to_string(other),
            toolkit == 13 ? "nvidia-cublas" : "nvidia-cublas-cu12"};
}

Wanted solver_wanted() {
    const int other = toolkit == 13 ? 12 : 13;
    return {"cuSOLVER", "libcusolver.so." + std::to_string(toolkit - 1),
            "libcusolver.so." + std::to_string(other - 1),
            toolkit == 13 ? "nvidia-cusolver" : "nvidia-cusolver-cu12"};
}

struct Search {
    std::mutex mutex;
    std::vector<std::string> directories;
    std::unique_ptr<Libraries> found;
};

Search& search() {
    static Search* const made = new Search;
    return *made;
}

struct Opened {
    void* handle;
    std::string path;
};

std::string path_of(void* handle, const std::string& otherwise) {
    Dl_info about{};
    void* symbol =
        dlsym(handle, otherwise.find("cublas") != std::string::npos ? "cublasCreate_v2"
                                                                    : "cusolverDnCreate");
    if (symbol == nullptr || dladdr(symbol, &about) == 0 || about.dli_fname == nullptr)
        return otherwise;
    return about.dli_fname;
}

// The directories, before all the one whose cuSOLVER will be opened, then the one of cuBLAS: beside
// them lies what is of their version.
std::vector<std::string> of_one_version(std::vector<std::string> directories) {
    for (const Wanted& wanted : {blas_wanted(), solver_wanted()}) {
        const auto holds = [&wanted](const std::string& directory) {
            return access((directory + "/" + wanted.soname).c_str(), R_OK) == 0;
        };
        const auto first = std::find_if(directories.begin(), directories.end(), holds);
        if (first != directories.end()) std::rotate(directories.begin(), first, first + 1);
    }
    return directories;
}

// what cuBLAS and cuSOLVER themselves need lies beside them, or nowhere that the loader looks
void open_companions(const std::vector<std::string>& directories) {
    const std::string major = "." + std::to_string(toolkit);
    const std::string sparse = ".12";
    for (const std::string& name : {"libnvJitLink.so" + major, "libcublasLt.so" + major,
                                    "libcublas.so" + major, "libcusparse.so" + sparse}) {
        for (const std::string& directory : directories) {
            if (dlopen((directory + "/" + name).c_str(), RTLD_LAZY | RTLD_LOCAL) != nullptr) break;
        }
    }
}

Opened open_library(const Wanted& wanted, const std::vector<std::string>& directories) {
    for (const int flags : {RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD, RTLD_LAZY | RTLD_LOCAL}) {
        void* handle = dlopen(wanted.soname.c_str(), flags);
        if (handle != nullptr) return {handle, path_of(handle, wanted.soname)};
    }
    std::string reason = dlerror();
    for (const std::string& directory : directories) {
        const std::string path = directory + "/" + wanted.soname;
        void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
        if (handle != nullptr) return {handle, path};
        const std::string said = dlerror();
        // the file is there, and something else is missing: that is the better reason
        if (said.find("No such file") == std::string::npos || said.find(path) != 0) reason = said;
    }
    void* wrong = dlopen(wanted.other.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (wrong != nullptr) {
        dlclose(wrong);
        reason = wanted.other + ", which is of another CUDA";
    }
    throw Unavailable(std::string(wanted.name) + ": expected " + wanted.soname + " of CUDA " +
                      std::to_string(toolkit) + ", got " + reason + "; install it: pip install " +
                      wanted.package + ", or name its directory in LD_LIBRARY_PATH");
}

template <class Function>
void bind(const Opened& library, const Wanted& wanted, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library.handle, name));
    if (function != nullptr) return;
    throw Unavailable(std::string(wanted.name) + ": expected the function " + name +
                      ", got none in " + library.path +
                      "; install a newer one: pip install --upgrade " + wanted.package);
}

std::unique_ptr<Libraries> load(const std::vector<std::string>& directories) {
    auto out = std::make_unique<Libraries>();
    const Wanted blas = blas_wanted();
    const Wanted solver = solver_wanted();
    // where it can be opened by name, the loader has found its companions too
    if (dlopen(solver.soname.c_str(), RTLD_LAZY | RTLD_LOCAL) == nullptr)
        open_companions(of_one_version(directories));
    const Opened opened_blas = open_library(blas, directories);
    const Opened opened_solver = open_library(solver, directories);
#define KRIGE_BIND(name, ...) bind(opened_blas, blas, #name, out->name);
    KRIGE_BLAS_FUNCTIONS(KRIGE_BIND)
#undef KRIGE_BIND
#define KRIGE_BIND(name, ...) bind(opened_solver, solver, #name, out->name);
    KRIGE_SOLVER_FUNCTIONS(KRIGE_BIND)
#undef KRIGE_BIND
    out->blas = opened_blas.path;
    out->solver = opened_solver.path;
    return out;
}

}  // namespace

const Libraries& libraries() {
    Search& all = search();
    const std::lock_guard<std::mutex> lock(all.mutex);
    if (all.found == nullptr) all.found = load(all.directories);
    return *all.found;
}

void set_library_directories(std::vector<std::string> directories) {
    Search& all = search();
    const std::lock_guard<std::mutex> lock(all.mutex);
    all.directories = std::move(directories);
}

}  // namespace krige_cuda
