"""What every service of taiwa stands on. It knows no event and no service, and alone speaks to Kafka."""
