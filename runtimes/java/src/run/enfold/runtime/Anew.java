package run.enfold.runtime;

import java.net.URL;
import java.net.URLClassLoader;

/** Loads the classes of the rehearsal anew each time, the way a function's are loaded: nobody above has them. */
final class Anew extends URLClassLoader {
    private static final String NAMES = Rehearsal.class.getName() + "$";

    Anew(URL[] path, ClassLoader parent) {
        super(path, parent);
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        if (!name.startsWith(NAMES)) {
            return super.loadClass(name, resolve);
        }
        synchronized (getClassLoadingLock(name)) {
            Class<?> loaded = findLoadedClass(name);
            if (loaded != null) {
                return loaded;
            }
            try {
                getParent().loadClass("function." + name);
            } catch (ClassNotFoundException e) {
                return findClass(name);
            }
            throw new ClassNotFoundException(name);
        }
    }
}
