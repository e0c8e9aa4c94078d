"""What is told of runs beside their spans: metrics, prices and events."""
