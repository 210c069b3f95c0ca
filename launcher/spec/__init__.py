"""What to run and on what: the specification, where its values come from, and what is wrong with them."""
