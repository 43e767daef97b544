"""What has a status: status tables, `transition()`, status events, operations, dispatch, worker, reaper."""
