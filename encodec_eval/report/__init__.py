"""From a journal of scores to tables, figures and pages. Nothing here runs a system or a metric."""
