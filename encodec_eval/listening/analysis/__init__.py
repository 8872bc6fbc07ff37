"""From answers to what a paper says about them: screening, the statistics of each method, tables and figures."""
