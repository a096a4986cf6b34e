"""The Slicer side of Med2E3: the scene, the engine's client, the controller and the panels."""
