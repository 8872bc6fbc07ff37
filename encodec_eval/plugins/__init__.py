"""Systems and metrics of others: named on the command line or by entry points, run in processes of their own."""
