"""Where the built-ins `jdbc` and `kafka` read: a database, a broker, and the record of what was taken from them."""
