"""Types inside fitted models of scikit-learn that skops does not trust by itself, and that run no code of a file.

Without them no forest, no nearest neighbours and no boosting could be read back. They are classes and pure functions of
scikit-learn, scipy and numpy, named one by one: what a file could hand them to be called is a type of its own, and is
refused. A file that was tampered with may still give scikit-learn's compiled code wrong numbers to work with.
"""

from __future__ import annotations

_KERNELS = """
    CompoundKernel ConstantKernel DotProduct ExpSineSquared Exponentiation Matern PairwiseKernel Product RBF
    RationalQuadratic Sum WhiteKernel
"""
_DISTANCES = """
    BrayCurtis Canberra Chebyshev Euclidean Hamming Jaccard Mahalanobis Manhattan Minkowski SEuclidean Haversine
"""
_SPLITTERS = "GroupKFold KFold LeaveOneOut RepeatedKFold RepeatedStratifiedKFold ShuffleSplit StratifiedKFold \
StratifiedGroupKFold StratifiedShuffleSplit TimeSeriesSplit"
_LOSSES = """
    AbsoluteError ExponentialLoss HalfBinomialLoss HalfGammaLoss HalfMultinomialLoss HalfPoissonLoss HalfSquaredError
    HalfTweedieLoss HalfTweedieLossIdentity HuberLoss PinballLoss
"""
_LINKS = "HalfLogitLink IdentityLink Interval LogLink LogitLink MultinomialLogit"
_OTHERS = """
    sklearn.calibration._CalibratedClassifier
    sklearn.calibration._SigmoidCalibration
    sklearn.cluster._bisect_k_means._BisectingTree
    sklearn.ensemble._hist_gradient_boosting.binning._BinMapper
    sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor
    sklearn.feature_selection._univariate_selection.chi2
    sklearn.feature_selection._univariate_selection.f_classif
    sklearn.feature_selection._univariate_selection.f_regression
    sklearn.feature_selection._mutual_info.mutual_info_classif
    sklearn.feature_selection._mutual_info.mutual_info_regression
    sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace
    sklearn.metrics._scorer._PassthroughScorer
    sklearn.neighbors._ball_tree.BallTree
    sklearn.neighbors._ball_tree.BallTree64
    sklearn.neighbors._kd_tree.KDTree
    sklearn.neighbors._kd_tree.KDTree64
    sklearn.neural_network._stochastic_optimizers.AdamOptimizer
    sklearn.neural_network._stochastic_optimizers.SGDOptimizer
    sklearn.tree._tree.Tree
    sklearn.utils._bunch.Bunch
    scipy.interpolate._bsplines.BSpline
    scipy.sparse._csr.csr_array
    scipy.sparse._csr.csr_matrix
    numpy.dtype
"""

PARTS = frozenset(
    [
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS.split()),
        *(
            f"sklearn.metrics._dist_metrics.{name}Distance{width}"
            for name in _DISTANCES.split()
            for width in ("", "64")
        ),
        *(f"sklearn._loss.loss.{name}" for name in _LOSSES.split()),
        *(f"sklearn._loss.link.{name}" for name in _LINKS.split()),
        *(f"sklearn.model_selection._split.{name}" for name in _SPLITTERS.split()),
        *_OTHERS.split(),
    ]
)
"""Full names, as skops reports them."""
