"""The only room that knows boto3: clients, inventory, S3 and the StartSession calls."""
