// A stub of Jenkins: runs a declarative Pipeline or a Job DSL script with steps that only tell what they would do.
// Called with the script and NAME=VALUE for each variable of the build, and -- before another script; a step or a word that it does not know is an
// error, as it is in Jenkins. Prints a line for each thing that happens, its parts separated by tabs.
import org.codehaus.groovy.control.CompilerConfiguration

class StubJenkins {
    Map env = [WORKSPACE: '/workspace', PATH: '/bin']
    Map params = [:]
    Map currentBuild = [:]
    String stage = ''
    List bound = []
    boolean skipped = false
    Throwable failure = null
    // What only groups other things: each takes a closure, or a name and a closure, or values.
    static final PLAIN = ['agent', 'options', 'script', 'definition', 'scm', 'git', 'remote', 'cpsScm', 'parameters',
        'properties', 'logRotator', 'always'] as Set
    static final TOLD = ['label', 'disableConcurrentBuilds', 'timeout', 'description', 'url', 'credentials', 'branch',
        'scriptPath', 'lightweight', 'numToKeep', 'type', 'required', 'junit', 'archiveArtifacts', 'stringParam'] as Set

    void tell(Object... parts) { println(parts*.toString().join('\t')) }

    void pipeline(Closure body) {
        run(body)
        if (failure) tell('result', 'FAILURE')
        else tell('result', 'SUCCESS', currentBuild.displayName ?: '')
    }

    void pipelineJob(String name, Closure body) { tell('job', name); run(body) }

    void environment(Closure body) { run(body) }

    void stages(Closure body) {
        try { run(body) } catch (StubFailure caught) { failure = caught }
    }

    void stage(String name, Closure body) {
        stage = name
        skipped = false
        tell('stage', name)
        run(body)
    }

    void when(Closure body) { run(body) }

    void tag(Map how) {
        assert how.comparator == 'GLOB'
        def pattern = how.pattern.replace('.', '\\.').replace('*', '.*')
        if (!(env.TAG_NAME ==~ pattern)) { skipped = true; tell('skipped', stage) }
    }

    void steps(Closure body) { if (!skipped) run(body) }

    void post(Closure body) { stage = 'post'; run(body) }

    String sh(String command) { return sh(script: command) }

    String sh(Map how) {
        tell('sh', stage, bound.join(','), how.script)
        if (env.FAILING && how.script.contains(env.FAILING)) throw new StubFailure(how.script)
        return how.returnStdout ? '1.2.3\n' : null
    }

    Map usernamePassword(Map how) { return [id: how.credentialsId, names: [how.usernameVariable, how.passwordVariable]] }

    Map file(Map how) { return [id: how.credentialsId, names: [how.variable]] }

    void withCredentials(List credentials, Closure body) {
        bound = credentials.collect { "${it.id}:${it.names.join('+')}" }
        try { run(body) } finally { bound = [] }
    }

    void choiceParam(String name, List choices, String text) { tell('choiceParam', name, choices.join('|'), text) }

    void credentialsParam(String name, Closure body) { tell('credentialsParam', name); run(body) }

    def methodMissing(String name, Object args) {
        def given = args as List
        if (name in PLAIN && given.size() == 1 && given[0] instanceof Closure) return run(given[0])
        if (name in TOLD) return tell(name, *given)
        throw new MissingMethodException(name, StubJenkins, args as Object[])
    }

    def propertyMissing(String name) {
        if (env.containsKey(name)) return env[name]
        throw new MissingPropertyException(name, StubJenkins)
    }

    void propertyMissing(String name, Object value) { tell('environment', name, value) }

    private Object run(Closure body) {
        body.delegate = this
        body.resolveStrategy = Closure.DELEGATE_FIRST
        return body.call()
    }
}

class StubFailure extends RuntimeException {
    StubFailure(String command) { super(command) }
}

// One run for each group of arguments, and a line `run` with its number before what it tells.
def groups = [[]]
args.each { if (it == '--') groups << [] else groups.last() << it }
groups.eachWithIndex { given, number ->
    println("run\t${number}")
    try {
        def jenkins = new StubJenkins()
        given.drop(1).each { def (name, value) = it.split('=', 2); jenkins.env[name] = value; jenkins.params[name] = value }
        def configuration = new CompilerConfiguration(scriptBaseClass: DelegatingScript.name)
        def shell = new GroovyShell(this.class.classLoader, new Binding(jenkins.env), configuration)
        def script = shell.parse(new File(given[0]))
        script.setDelegate(jenkins)
        script.run()
    } catch (Exception | org.codehaus.groovy.control.CompilationFailedException error) {
        println("error\t${error.message.readLines()[0]}")
    }
}
