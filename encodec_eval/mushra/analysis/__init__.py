"""From ratings to tables and figures: reading, screening, statistics, and listeners that do not exist."""
