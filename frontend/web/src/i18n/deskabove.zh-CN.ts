// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the desk's forms say of others' words, supervisions and decisions, Chinese.

export const deskAboveZh = {
  word: {
    who: '哪个部门来话',
    what: '说了什么',
    report: '正在赶来',
    arrive: '已到现场',
    hint: '电话里说到场只记为“口头到场”；“定位到场”以部门手机的定位为准。',
    chooseWho: '请选来话的部门。',
    chooseWhat: '请选它说了什么。',
    gone: '{name}已经自己说过到场，不用再记。',
    go: '记下',
    short: '代记报到',
  },
  supervise: {
    whom: '督办{level}',
    reason: '督办原因和要求',
    within: '回复时限',
    ruled: '不填按规定：{limit}。',
    byRule: '不填按规定。',
    whole: '请填 1 到 {n} 的整数，或留空。',
    movesUp: '到时限没有回复，事件自动上报一级。',
    toLeader: '到时限没有回复，报告旗县领导。',
    owes: '{who} {time} 前回复',
    go: '下达督办',
  },
  decide: {
    asked: '事项',
    who: '申请人',
    by: '顺延 {limit}',
    until: '挂账到 {time}',
    decision: '审批意见',
    approve: '同意',
    refuse: '不同意',
    choose: '请选同意或不同意。',
    why: '理由',
    sayWhy: '不同意要写明理由。',
    effect: {
      void: '同意后事件立即作废，不再办理。',
      extend: '同意后办理时限立即顺延。',
      suspend: '同意后立即挂账，时限停止计时，到期提醒复查。',
    },
    go: '提交审批',
    short: '审批',
    failed: '没能读到待审批的申请，按 A 键重读。',
    reading: '正在读取待审批的申请。',
    more: '还有更多，审完这些再显示。',
  },
};
