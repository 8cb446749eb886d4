"""A job of the second template generation, as teams have it: `dp_foundation`, bare table, no path."""

from dp_foundation.config.settings import get_config
from dp_foundation.io.readers import read_iceberg
from dp_foundation.io.writers import write_iceberg
from dp_foundation.logging.logger import get_logger
from dp_foundation.spark.session import get_spark

logger = get_logger(__name__)


def main() -> None:
    """Copy the German customers."""
    spark = get_spark(app_name="foundation_append_bare")
    cfg = get_config()
    df = read_iceberg(spark, catalog_db=cfg["iceberg_database_refined"], table="source")
    result = df.filter("country = 'DE'")
    write_iceberg(df=result, catalog_db=cfg["iceberg_database_curated"], table="target", mode="append")
    logger.info("wrote %d rows", result.count())
    spark.stop()


if __name__ == "__main__":
    main()
