"""What training measures: names, files, exporters and the report."""
