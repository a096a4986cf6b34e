"""The folder beside a scan, in its study, that holds what Med2E3 made of it."""

import slicer.util
from slicer.i18n import tr as _

VOLUME_ROLE = "Med2E3.volume"
"""Role of the node reference from each of our nodes to the scan that it is about."""

_FOLDER_ATTRIBUTE = "Med2E3.folder"


def putInFolder(scene, volumeNode, node):
    """Show a node in the scan's folder of the subject hierarchy, made if there is none."""
    subjectHierarchy = scene.GetSubjectHierarchyNode()
    if not subjectHierarchy:
        return
    folder = _folderOf(scene, subjectHierarchy, volumeNode) or _newFolder(
        subjectHierarchy, volumeNode
    )
    item = subjectHierarchy.GetItemByDataNode(node)
    if item:
        subjectHierarchy.SetItemParent(item, folder)
    else:
        subjectHierarchy.CreateItem(folder, node)


def _folderOf(scene, subjectHierarchy, volumeNode):
    """The folder that holds something about the scan already, whatever it is called by now."""
    for node in slicer.util.getNodesByClass("vtkMRMLNode", scene):
        if node.GetNodeReferenceID(VOLUME_ROLE) == volumeNode.GetID():
            item = subjectHierarchy.GetItemByDataNode(node)
            parent = subjectHierarchy.GetItemParent(item) if item else 0
            if parent and subjectHierarchy.GetItemAttribute(parent, _FOLDER_ATTRIBUTE):
                return parent
    return 0


def _newFolder(subjectHierarchy, volumeNode):
    volumeItem = subjectHierarchy.GetItemByDataNode(volumeNode)
    parent = (
        subjectHierarchy.GetItemParent(volumeItem)
        if volumeItem
        else subjectHierarchy.GetSceneItemID()
    )
    folder = subjectHierarchy.CreateFolderItem(
        parent, _("{name} Med2E3 report").format(name=volumeNode.GetName())
    )
    subjectHierarchy.SetItemAttribute(folder, _FOLDER_ATTRIBUTE, "1")
    return folder
