"""Every diagnostic code with its one-line meaning; codes are stable and never reused.

M1: syntax and shape of documents. M2: names, imports and callables. M3: wiring. M4: running.
"""

CODES: dict[str, str] = {
    # M10x: reading YAML
    # M12x: the shape of a document
    # M15x: interpolation and inputs
    # M19x: parts of the language that this release does not run yet
    # M20x: names across documents
    # M21x: what may be imported
    # M22x: loading callables
    # M24x: parameters and results of callables
    # M30x: wiring
    # M40x: running
}
