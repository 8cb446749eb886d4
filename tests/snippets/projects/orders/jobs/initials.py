"""How many items begin with which letter."""

from pyspark.sql import functions as F

from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import write_iceberg
from dp_foundation.logging.logger import get_logger
from dp_foundation.spark.session import get_spark

spark = get_spark(app_name="orders-initials")
items = read_table(spark, "items")
counted = items.groupBy(F.upper(F.substring("name", 1, 1)).alias("initial")).agg(F.count("*").alias("items"))
write_iceberg(counted, "initials", mode="merge")
get_logger(__name__).info("initials counted")
