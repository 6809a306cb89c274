"""A mesh broken at random for minutes or hours, and what must hold all the while."""
