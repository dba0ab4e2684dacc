"""Time series: archives of UCR and UEA, tables, and heartbeats of WFDB records."""
