"""Running a study: the ledger, the rules for results and failures, executors and the loop."""
