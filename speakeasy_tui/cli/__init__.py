"""The door: commands, headless output, doctor. Owns no work and no state.

Only what parsing needs is imported at the top of these modules; commands import the rest.
"""
