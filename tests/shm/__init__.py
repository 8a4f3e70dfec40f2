"""The meeting place: layout, states, segment, table, channels, orders, log lines."""
