"""Who says so: SSH signatures of evidence and of approvals, and whose they are."""
