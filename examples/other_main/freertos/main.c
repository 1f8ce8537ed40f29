/* A project under FreeRTOS: one task does the project's work, every 10 ms; the agent is another one, of lower priority. */
#include <stdint.h>

#include "FreeRTOS.h"
#include "board.h"
#include "hil_program.h"
#include "task.h"

#define AGENT_WORDS 1024u
#define WORK_WORDS 256u

static StackType_t agent_stack[AGENT_WORDS], work_stack[WORK_WORDS], idle_stack[configMINIMAL_STACK_SIZE];
static StaticTask_t agent_task, work_task, idle_task;

volatile uint32_t project_switches;
static volatile uint32_t ticks;
volatile uint32_t works; /* what the project does: how often it has */

void vApplicationTickHook(void)
{
    ++ticks;
}

void vApplicationStackOverflowHook(TaskHandle_t task, char *name)
{
    (void)task;
    (void)name;
    project_failed();
}

void vApplicationGetIdleTaskMemory(StaticTask_t **task, StackType_t **stack, configSTACK_DEPTH_TYPE *words)
{
    *task = &idle_task;
    *stack = idle_stack;
    *words = configMINIMAL_STACK_SIZE;
}

void project_failed(void)
{
    taskDISABLE_INTERRUPTS();
    for (;;) {
    }
}

static uint32_t count_interrupts(void)
{
    return ticks + project_switches;
}

static void work(void *nothing)
{
    (void)nothing;
    for (;;) {
        ++works;
        vTaskDelay(pdMS_TO_TICKS(10));
    }
}

static void serve(void *nothing)
{
    static struct hil_program program = {
        .read = board_read,
        .write = board_write,
        .milliseconds = board_milliseconds,
        .counter_hz = configCPU_CLOCK_HZ,
        .interrupts = count_interrupts,
        .sync_pin = board_pin,
        .stack = agent_stack,
        .stack_bytes = sizeof agent_stack,
    };
    (void)nothing;
    program.chip_id = board_chip_id();
    program.reset_reason = board_reset_reason();
    hil_program_begin(&program);
    for (;;) {
        if (!hil_agent_poll()) {
            vTaskDelay(1);
        }
    }
}

int main(void)
{
    board_init();
    xTaskCreateStatic(serve, "agent", AGENT_WORDS, NULL, 1, agent_stack, &agent_task);
    xTaskCreateStatic(work, "work", WORK_WORDS, NULL, 2, work_stack, &work_task);
    vTaskStartScheduler();
    project_failed();
}
