"""A job of the second template generation: upsert, settings of its own."""

from dp_foundation.config.settings import get_config
from dp_foundation.io.readers import read_table
from dp_foundation.io.writers import merge_iceberg
from dp_foundation.logging.logger import get_logger
from dp_foundation.spark.session import get_spark


def main() -> None:
    """Bring the newest state of each customer into the target."""
    cfg = get_config(overrides={"project": "legacy"})
    logger = get_logger("merge")
    spark = get_spark(app_name="foundation_merge")
    rows = read_table(spark, f"glue_catalog.{cfg['refined_db']}.source").selectExpr("id", "country")
    merge_iceberg(rows, f"{cfg['curated_db']}.target", keys=["id"])
    logger.info("merged", extra={"project_setting": cfg["project"]})
    spark.stop()


if __name__ == "__main__":
    main()
