"""`POST /predictions/batch`: many inputs in one request, one result each."""
