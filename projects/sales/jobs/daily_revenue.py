"""Revenue by day, country and currency, from the newest state of orders, contacts and FX rates."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dp_foundation.config.settings import get_config
from dp_foundation.io.readers import read_iceberg
from dp_foundation.io.writers import merge_iceberg
from dp_foundation.logging.logger import get_logger
from dp_foundation.spark.session import get_spark


def revenue(orders: DataFrame, contacts: DataFrame, rates: DataFrame) -> DataFrame:
    """One row per day, country and currency.

    Cancelled orders do not count; an order whose customer is not known yet waits for a later run.
    """
    valid = orders.where("status <> 'cancelled'").withColumn("day", F.to_date("ordered_at"))
    located = valid.join(contacts.select("customer_id", "country"), "customer_id").join(rates, ["day", "currency"])
    totals = located.groupBy("day", "country", "currency", "rate").agg(F.count("*").alias("orders"), F.sum("amount").alias("revenue"))
    in_euro = F.round(F.col("revenue") / F.col("rate"), 2).cast("decimal(18,2)")
    return totals.withColumn("revenue", F.col("revenue").cast("decimal(18,2)")).withColumn("revenue_eur", in_euro).drop("rate")


def main() -> None:
    """Read, aggregate, merge."""
    log = get_logger(__name__)
    spark = get_spark(app_name="sales-daily-revenue")
    cfg = get_config()
    orders = read_iceberg(spark, catalog_db=cfg["iceberg_database_refined"], table="orders")
    contacts = read_iceberg(spark, catalog_db=cfg["iceberg_database_refined"], table="customers.contacts")
    rates = read_iceberg(spark, catalog_db=cfg["iceberg_database_refined"], table="customers.fx_rates")
    merge_iceberg(df=revenue(orders, contacts, rates), table="daily_revenue", keys=["day", "country", "currency"])
    log.info("daily revenue merged")


if __name__ == "__main__":
    main()
