"""Entry of a job with `sql:`; what it does is `dp_foundation.builtin.sql`."""

from dp_foundation.builtin import sql

if __name__ == "__main__":
    sql.run()
