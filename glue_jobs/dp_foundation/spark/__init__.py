"""The Spark session of a job."""
