"""CloudFront's laws as pure functions and tables; each names the AWS page it comes from."""
