"""Texts of others that are changed by the smallest edit."""
