"""From a project to AWS: packages, a template that names them, and the edge made with boto3.

- An **artifact** is what one function becomes: a zip for Lambda@Edge, source text for CloudFront
  Functions (`artifacts.py`).
- **Vendoring** puts what requirements.txt names into the package, built for Lambda's machine and
  Python version, whatever this machine is (`vendoring.py`).
- An **archive** is a reproducible zip: same files, same bytes (`archive.py`).
- The **packaged template** is the project's own, with code that is in S3 (`packaged_template.py`).

`packaging.py` tells the story of a package. `deployment.py` tells that of a deployment:

- what the template **desires** at AWS, with names that are only known as it goes on (`desired.py`);
- the **kinds** of resources, each read, made, changed and deleted with boto3 (`kinds/`);
- configurations in the API's **shapes**, compared and laid over each other (`shapes.py`, pure);
- the **plan**, as a value (`plan.py`), and the **ledger** of what was made (`ledger.py`);
- and the ways back: `rollback.py`, `destroy.py`.

`sdk.py` resolves where AWS is; `key_values.py` and `permissions.py` are commands of their own.
"""
