"""What everything stands on: job, settings, transcript, protocol, fault classes, paths.

Nothing here draws a screen, starts a process or imports torch.
"""
