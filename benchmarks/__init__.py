"""Figures for users: what it costs, what it reaches, against what they would pick instead."""
