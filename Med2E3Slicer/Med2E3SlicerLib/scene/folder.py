"""The folder beside a scan that holds what Med2E3 made of it."""

from slicer.i18n import tr as _

VOLUME_ROLE = "Med2E3.volume"
"""Role of the node reference from each of our nodes to the scan that it is about."""


def putInFolder(scene, volumeNode, node):
    """Show a node in the scan's folder of the subject hierarchy, made if there is none."""
    subjectHierarchy = scene.GetSubjectHierarchyNode()
    if not subjectHierarchy:
        return
    volumeItem = subjectHierarchy.GetItemByDataNode(volumeNode)
    parent = (
        subjectHierarchy.GetItemParent(volumeItem)
        if volumeItem
        else subjectHierarchy.GetSceneItemID()
    )
    name = _("{name} Med2E3").format(name=volumeNode.GetName())
    folder = subjectHierarchy.GetItemChildWithName(parent, name)
    if not folder:
        folder = subjectHierarchy.CreateFolderItem(parent, name)
    item = subjectHierarchy.GetItemByDataNode(node)
    if item:
        subjectHierarchy.SetItemParent(item, folder)
    else:
        subjectHierarchy.CreateItem(folder, node)
