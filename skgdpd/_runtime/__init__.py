"""Settings, seeds, threads, devices, fingerprints, and files written in one piece."""
