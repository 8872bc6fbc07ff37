"""From a set, systems and metrics to a journal of scores: workers, the engines that own them, what a run records."""
