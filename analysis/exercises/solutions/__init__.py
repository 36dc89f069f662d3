"""One solution of each exercise, under its name; the tests judge them."""
