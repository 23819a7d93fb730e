"""Builds every object once and joins them.

settings    flag beats environment beats localpop.toml
servers     listeners, all on loopback unless told otherwise
deploy      a project's declarations turned into a Site
emulator    everything, started and stopped together
children    the commands that localpop starts beside itself
watch       hot reload on save
"""
