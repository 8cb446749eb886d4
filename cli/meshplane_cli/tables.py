"""Tables as Arrow, without Spark: Iceberg by pyiceberg from its metadata file, Hive by pyarrow from its files. Called by `query`."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from meshplane.aws.faults import translated
from meshplane.errors import NotFound
from meshplane.model.naming import LAYERS
from meshplane_cli.output import USAGE, CliError
from meshplane_cli.surroundings import Target


@dataclass(frozen=True)
class Tables:
    """Finds and reads the domain's tables."""

    target: Target

    def find(self, schema: str, name: str) -> dict[str, Any]:
        """The Glue table that `layer.table`, `database.table` or `project.table` means. Raises CliError naming what there is."""
        naming = self.target.naming
        if schema in LAYERS:
            places = [(naming.database(schema), name)]
        elif schema in {naming.database(layer) for layer in LAYERS}:
            places = [(schema, name)]
        else:
            places = [(naming.database(layer), naming.table(schema, name)) for layer in reversed(LAYERS)]
        for database, table in places:
            try:
                with translated("glue:GetTable", f"{database}.{table}"):
                    return dict(self.target.clients("glue").get_table(DatabaseName=database, Name=table)["Table"])
            except NotFound:
                continue
        allowed = ", ".join(self._names(schema)) or f"{', '.join(LAYERS)}, a database, or a project that is published"
        raise CliError(f"no table {schema}.{name} in {self.target.env}", allowed=allowed, code=USAGE)

    def arrow(self, table: dict[str, Any], columns: Collection[str] | None, limit: int | None) -> Any:
        """Its rows, as far as `columns` (lower case; None: all) are concerned."""
        parameters = table.get("Parameters", {})
        if parameters.get("table_type", "").lower() == "iceberg":
            return self._iceberg(parameters["metadata_location"], columns, limit)
        return self._hive(table)

    def _iceberg(self, location: str, columns: Collection[str] | None, limit: int | None) -> Any:
        from pyiceberg.table import StaticTable

        found = StaticTable.from_metadata(location, self._settings())
        names = [field.name for field in found.schema().fields]
        chosen = [name for name in names if columns is None or name.lower() in columns] or names[:1]
        return _without_zones(found.scan(selected_fields=tuple(chosen), limit=limit).to_arrow())

    def _hive(self, table: dict[str, Any]) -> Any:
        import pyarrow as pa
        from pyarrow import csv, dataset

        storage, parameters = table["StorageDescriptor"], table.get("Parameters", {})
        serde = storage.get("SerdeInfo", {})
        settings = {**parameters, **serde.get("Parameters", {})}
        columns = [column["Name"] for column in storage["Columns"]]
        library = serde.get("SerializationLibrary", "").lower()
        kind: Any = "parquet" if "parquet" in library else "json"
        if "csv" in library or "lazysimple" in library:
            reading = csv.ReadOptions(column_names=columns, skip_rows=int(settings.get("skip.header.line.count", "0")))
            delimiter = settings.get("separatorChar") or settings.get("field.delim") or ","
            parsing = csv.ParseOptions(delimiter=delimiter, quote_char=settings.get("quoteChar", '"'))
            text = csv.ConvertOptions(column_types={name: pa.string() for name in columns}, strings_can_be_null=False)
            kind = dataset.CsvFileFormat(parse_options=parsing, read_options=reading, convert_options=text)
        keys = pa.schema([(column["Name"], pa.string()) for column in table.get("PartitionKeys", [])])
        place = urlsplit(storage["Location"])
        path = f"{place.netloc}{place.path}".rstrip("/")
        files = [f"{place.netloc}/{key}" for key in self._keys(place.netloc, place.path.strip("/") + "/")]
        if not files:
            return pa.table({name: pa.array([], pa.string()) for name in (*columns, *keys.names)})
        partitioning = dataset.partitioning(keys, flavor="hive")
        return dataset.dataset(files, format=kind, filesystem=self._files(), partitioning=partitioning, partition_base_dir=path).to_table()

    def _keys(self, bucket: str, prefix: str) -> list[str]:
        from dp_foundation.run.ledger import is_data
        from meshplane_cli.records import keys_under

        return [key for key in keys_under(self.target, bucket, prefix) if is_data(key, prefix)]

    def _files(self) -> Any:
        from pyarrow.fs import S3FileSystem

        keys = self._keypair()
        endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
        place = {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme} if endpoint.netloc else {}
        return S3FileSystem(access_key=keys[0], secret_key=keys[1], session_token=keys[2], region=self.target.naming.region, **place)

    def _settings(self) -> dict[str, str]:
        key, secret, token = self._keypair()
        given = {"s3.access-key-id": key, "s3.secret-access-key": secret, "s3.session-token": token or ""}
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
        settings = {**given, "s3.region": self.target.naming.region, "s3.endpoint": endpoint}
        return {name: value for name, value in settings.items() if value}

    def _keypair(self) -> tuple[str, str, str | None]:
        """The session's own credentials: Arrow knows fewer ways to find them than boto3."""
        found = self.target.clients.session.get_credentials()
        if found is None:
            raise CliError("no AWS credentials", mend="sign in, or `meshplane local up`", code=3)
        frozen = found.get_frozen_credentials()
        return frozen.access_key, frozen.secret_key, frozen.token

    def _names(self, schema: str) -> list[str]:
        """What there is of a layer, database or project."""
        naming = self.target.naming
        databases = (
            [naming.database(schema)] if schema in LAYERS else [schema] if "_" in schema else [naming.database(one) for one in LAYERS]
        )
        found: list[str] = []
        for database in databases:
            try:
                with translated("glue:GetTables", database):
                    pages = self.target.clients("glue").get_paginator("get_tables").paginate(DatabaseName=database)
                    found += [one["Name"] for page in pages for one in page["TableList"]]
            except NotFound:
                continue
        if schema in LAYERS or "_" in schema:
            return sorted(f"{schema}.{name}" for name in found)
        return sorted(f"{schema}.{name.removeprefix(f'{schema}_')}" for name in found if name.startswith(f"{schema}_"))


def _without_zones(rows: Any) -> Any:
    """Instants as plain times in UTC: DuckDB computes with zones only by an extension that it would download."""
    import pyarrow as pa

    for index, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz:
            rows = rows.set_column(index, field.name, rows.column(index).cast(pa.timestamp(field.type.unit)))
    return rows
