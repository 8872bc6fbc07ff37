"""How well metrics follow listeners: ratings, the measures of ITU-T P.1401, and their report."""
