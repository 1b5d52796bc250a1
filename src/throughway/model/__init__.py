"""Vocabulary of the whole house: frozen dataclasses and enums. Imports nothing of ours."""
