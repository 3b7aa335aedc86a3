// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the grid worker's page says, Chinese.

import { sessionZh } from './session.zh-CN';
import { zhCN } from './zh-CN';

export const fieldZh = {
  ...sessionZh,
  priority: zhCN.priority,
  field: {
    title: '网格员',
    doorLead: '网格员的手机页面：接单、到场、办结、上报。',
    notHere: '您以“{role}”登录，这个页面供网格员和部门经办人使用。',
    nav: '栏目',
    tab: { tasks: '任务', report: '上报', duty: '在岗' },
    online: '已连接',
    offline: '无网络，已存本机',
    noTasks: '现在没有任务。有新派单时会震动提醒。',
    state: {
      offered: '新派单',
      delivered: '新派单',
      seen: '新派单',
      accepted: '已接单',
      arrived: '已到场',
      declined: '已拒单',
      expired: '已过时',
      withdrawn: '已撤回',
      finished: '已办结',
    },
    assist: '协办',
    answerIn: '请在 {s} 秒内答复',
    overdue: '已过答复时间',
    waiting: '已存本机，待传',
    navigate: '导航到事发点',
    act: {
      accept: '接单',
      decline: '不能去',
      arrive: '到场',
      finish: '办结',
      return: '退回',
      report: '上报',
      delivered: '送达',
      seen: '看到',
    },
    reason: { busy: '手上有急事', far: '离得太远', notMine: '不是我的事', vehicle: '没有车' },
    why: '为什么',
    whatDone: '办了什么',
    toSend: '已存本机，待传 {n} 件',
    sendNow: '现在传',
    refused: '“{what}”没有被接受：{title}',
    understood: '知道了',
    reported: '已上报，编号 {number}',
    what: '什么事',
    noCategories: '还没有读到类别，请联网后再打开一次。',
    titleLabel: '一句话说明',
    textLabel: '详细情况',
    where: '在哪里',
    fix: '已定位，误差约 {m} 米',
    measuring: '正在定位…',
    noFix: {
      denied: '没有定位权限。请在手机设置里允许，或写明地点。',
      unavailable: '暂时定不了位。请到开阔处再试，或写明地点。',
      insecure: '这个网址不是 HTTPS，浏览器不给定位。请写明地点。',
    },
    measure: '重新定位',
    address: '地点说明',
    incomplete: '请选类别、写一句话，并定位或写明地点。',
    onDuty: '在岗',
    offDuty: '不在岗',
    since: '{from} 开始，{to} 自动结束',
    tracking: '只有在岗时才记录位置；下岗后不记录。',
    startShift: '开始上岗',
    endShift: '结束上岗',
    noShifts: '这个账号没有绑定网格员，不用上岗。',
  },
};

export type FieldCatalogue = typeof fieldZh;
