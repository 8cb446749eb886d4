"""A job of the first template generation, as teams have it: `core`, fully qualified table, a path."""

from core.config.settings import get_config
from core.io.readers import read_iceberg
from core.io.writers import write_iceberg
from core.logging.logger import get_logger
from core.spark.session import get_spark

logger = get_logger(__name__)


def main() -> None:
    """Copy the German customers."""
    spark = get_spark(app_name="core_append_path")
    cfg = get_config()
    df = read_iceberg(spark, catalog_db=cfg["refined_db"], table="source")
    result = df.filter("country = 'DE'")
    write_iceberg(
        df=result,
        path=f"s3://{cfg['s3_curated_bucket']}/iceberg/target",
        table=f"glue_catalog.{cfg['curated_db']}.target",
        mode="append",
    )
    logger.info("wrote %d rows", result.count())
    spark.stop()


if __name__ == "__main__":
    main()
