"""What a run tells others: lineage events and metrics. Nothing here fails a job."""
