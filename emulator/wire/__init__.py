"""AWS's JSON and XML, in and out, spelled as AWS spells it; dicts stop here."""
