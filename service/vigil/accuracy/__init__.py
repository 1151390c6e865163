"""How good the service is: detector, tracks, events, against labels."""
