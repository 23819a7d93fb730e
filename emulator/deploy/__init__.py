"""From a project to what AWS is given: packages, their manifest, and a template that names them.

- An **artifact** is what one function becomes: a zip for Lambda@Edge, source text for CloudFront
  Functions (`artifacts.py`).
- **Vendoring** puts what requirements.txt names into the package, built for Lambda's machine and
  Python version, whatever this machine is (`vendoring.py`).
- An **archive** is a reproducible zip: same files, same bytes (`archive.py`).
- The **packaged template** is the project's own, with code that is in S3 (`packaged_template.py`).

`packaging.py` tells the story. Nothing here speaks to AWS.
"""
