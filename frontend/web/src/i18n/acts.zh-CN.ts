// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the acts of the audit log are called, by their codes: the part before the dot,
// then the part after it. A test holds the list against the program's source.

export const actsZh = {
  account: {
    create: '新建账号',
    invite: '发出邀请',
    redeem: '接受邀请',
    password: '修改密码',
    pin: '设置 PIN',
    disable: '停用账号',
    enable: '恢复账号',
  },
  session: {
    open: '登录',
    failed: '登录失败',
    close: '退出',
    lock: '锁定',
    unlock: '解锁',
    revoke: '作废登录',
  },
  secret: {
    first: '生成首次密钥',
    revoke: '作废首次密钥',
  },
  invite: {
    revoke: '作废邀请',
  },
  token: {
    create: '新建令牌',
    revoke: '作废令牌',
  },
  wall: {
    link: '生成大屏链接',
    revoke: '作废大屏',
  },
  grant: {
    propose: '提出授权',
    approve: '同意授权',
    revoke: '撤销授权',
  },
  reporter: {
    reveal: '查看上报人',
  },
  track: {
    read: '查看轨迹',
  },
  camera: {
    open: '打开摄像头',
  },
  export: {
    rows: '导出明细',
    counts: '导出统计',
  },
  incident: {
    report: '上报事件',
    accept: '受理',
    refuse: '不予受理',
    route: '分流',
    acknowledge: '签收',
    arrive: '到场',
    resolve: '办结',
    verify: '核查',
    rework: '返工',
    close: '结案',
    return: '退回',
    transfer: '转出',
    resume: '恢复办理',
    dispatch: '派遣',
    withdraw: '撤回派遣',
    archive: '归档',
    reassign: '改派',
    escalate: '上报上级',
    delegate: '下派',
    suspend: '挂账',
    merge: '合并',
    void: '作废',
    reopen: '重办',
    correct: '更正',
    hand_over: '移交',
    regrid: '重新归格',
    unsigned: '逾期未签收',
    remind: '催办',
    late: '超时',
    supervise: '督办',
    reply: '回复',
    leader: '报告领导',
    review: '到期复查',
    recalculate: '重算时限',
    note: '备注',
    request: '提出申请',
    decision: '审批申请',
    extend: '延期',
    instruction: '批示',
    session: '会商',
    session_confirmed: '确认会商',
    assist: '协办',
    release: '解除协办',
    call_back: '回访',
    attach: '添加附件',
    detach: '移除附件',
  },
  incidents: {
    import: '导入历史事件',
  },
  grids: {
    enact: '启用网格',
    plan: '计划启用网格',
    plan_cancel: '取消启用计划',
    plan_failed: '启用计划失败',
    settle: '按现行网格归格',
  },
  overlays: {
    import: '导入专题网格',
  },
  layer: {
    import: '导入图层',
    retire: '图层去除文件所无',
    settings: '修改图层设置',
  },
  cameras: {
    import: '导入摄像头',
    retire: '去除文件所无的摄像头',
  },
  places: {
    import: '导入地名地址',
    retire: '去除文件所无的地名地址',
  },
  people: {
    import: '导入花名册',
  },
  roads: {
    import: '导入道路',
  },
  whistle: {
    made: '吹哨',
    reported: '报到',
    said: '口头到场',
    arrived: '定位到场',
    late: '超时未到',
    ended: '结束吹哨',
  },
  notice: {
    made: '发出预警提示单',
    read: '签收预警提示单',
    replied: '回复预警提示单',
    reminded: '提醒签收',
    overdue: '逾期督办',
    withdrawn: '撤回预警提示单',
  },
  offer: {
    made: '派单',
    changed: '派单有变化',
    ended: '派单结束',
  },
  rules: {
    advice: '修改派单推荐规则',
    offers: '修改派单规则',
  },
  calendar: {
    changed: '修改日历与时限',
  },
  steps: {
    choose: '选择步骤名称',
  },
  duty: {
    name: '指定值班员',
    end: '结束值班',
  },
  department: {
    duty: '设置部门驻班',
  },
  liaison: {
    name: '指定联络员',
    end: '结束联络员',
  },
  bulletin: {
    make: '生成周报',
  },
  handover: {
    make: '交班',
    accept: '接班',
  },
  shift: {
    start: '上岗',
    end: '下岗',
  },
  worker: {
    deactivate: '网格员停用',
    activate: '网格员恢复',
  },
  contact: {
    reveal: '查看联系人信息',
  },
  contacts: {
    import: '导入联系人',
  },
  households: {
    import: '导入网格户数',
  },
  skills: {
    import: '导入技能目录',
  },
  rollcall: {
    call: '点名',
  },
  message: {
    send: '发送消息',
  },
  patrol: {
    made: '制定巡查计划',
    changed: '修改巡查计划',
    ended: '终止巡查计划',
    opened: '生成本期走访',
    missed: '记入漏巡',
  },
  visit: {
    seen: '定位走访',
    said: '口头走访',
  },
  backup: {
    create: '备份',
    restore: '恢复备份',
  },
};
